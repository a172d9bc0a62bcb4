"""Handlers that tests of Lambda environments run in processes of their own."""

HANDLERS = '''
import os, pathlib, signal, time

calls = 0

def respond(event, context):
    global calls
    calls += 1
    return {"pid": os.getpid(), "calls": calls, "event": event}

def describe(event, context):
    names = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_EXECUTION_ENV", "BUCKET",
             "AWS_REGION", "HOME")
    return {"id": context.aws_request_id, "remaining_ms": context.get_remaining_time_in_millis(),
            "arn": context.invoked_function_arn, "environment": {name: os.environ.get(name) for name in names}}

def fail(event, context):
    if event.get("fail"):
        raise ValueError("planted failure")
    return os.getpid()

def kill_itself(event, context):
    if event.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()

def hang(event, context):
    if event.get("hang"):
        time.sleep(60)
    return os.getpid()

def return_text(event, context):
    return "x" * event.get("size", 1)

def return_umlauts(event, context):
    return "ü" * event["characters"]

def wait_for_others(event, context):
    """Wait until the folder has as many files as the event says; each process adds one."""
    folder = pathlib.Path(event["folder"])
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < event["count"]:
        assert time.monotonic() < deadline, "the others did not come"
        time.sleep(0.01)
    return os.getpid()

def print_line(event, context):
    print("planted line")
'''
