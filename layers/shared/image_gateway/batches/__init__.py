"""Request files in the bucket: each line becomes a queued job, and one results file describes all of them."""
