"""DynamoDB's items and expressions in moto: the same results for a part of the CPU time.

moto parses each expression several times per request, copies the parsed expression and the item with `copy.deepcopy`,
and measures an item again for each of its attributes. moto has no extension points for these, so functions of this
module replace moto's own.
"""

import copy
from functools import cache, lru_cache
from typing import Any, Final

from moto.dynamodb import comparisons
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing import ast_nodes, expressions

_nodes: Any = ast_nodes  # these modules have no types
_expressions: Any = expressions
_MAX_ITEM_BYTES: Final = 405_000
"""moto's own limit, which is a little above DynamoDB's."""
_CONTAINER_TYPES: Final = frozenset({"L", "M", "SS", "NS", "BS"})
_copy_value: Final = DynamoType.__deepcopy__
_parse_condition: Final = ConditionExpressionParser.parse


def apply() -> None:
    """Apply the replacements to moto in this process. It can be called repeatedly."""
    replacements: tuple[tuple[Any, str, Any], ...] = (
        (Item, "__init__", _create_item),
        # An update replaces a single value; only maps, lists and sets are changed in place.
        (DynamoType, "__deepcopy__", _copy_of_container),
        # moto copies a parsed expression before it changes it, so one can be used again.
        (_expressions.UpdateExpressionParser, "make", _parsed_update),
        (_nodes.Node, "__deepcopy__", _copy_node),
        # For each node of an expression, moto asks ten times for the list of the kinds of nodes.
        (_nodes.DepthFirstTraverser, "traverse", _traverse),
        (_nodes.Node, "find_clauses", _find_clauses),
        # moto parses a condition up to three times per request.
        (ConditionExpressionParser, "parse", _parse_condition_once),
    )
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


def _create_item(item: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    """Measure the item once, not once per attribute."""
    item.hash_key, item.range_key, item.attrs = hash_key, range_key, LimitedSizeDict()
    for key, value in attrs.items():
        dict.__setitem__(item.attrs, key, DynamoType(value))
    if sum(bytesize(key) + value.size() for key, value in item.attrs.items()) > _MAX_ITEM_BYTES:
        raise ItemSizeTooLarge


def _copy_of_container(value: DynamoType, memo: dict[int, Any]) -> DynamoType:
    return _copy_value(value, memo) if value.type in _CONTAINER_TYPES else value


@lru_cache(maxsize=1024)
def _parsed_update(expression: str) -> Any:
    return _expressions.UpdateExpressionParser(_expressions.ExpressionTokenizer.make_list(expression)).parse()


def _copy_node(node: Any, memo: dict[int, Any]) -> Any:
    copied = object.__new__(type(node))
    memo[id(node)] = copied
    copied.__dict__.update(node.__dict__)
    copied.parent = memo.get(id(node.parent))
    if node.children is not None:
        copied.children = [child if isinstance(child, str) else copy.deepcopy(child, memo) for child in node.children]
    return copied


def _traverse(traverser: Any, node: Any) -> Any:
    return _traverse_with(traverser, node, -1, traverser.nodes_to_be_processed())


def _traverse_with(traverser: Any, node: Any, child_id: int, kinds: tuple[type, ...]) -> Any:
    parent = node.parent
    for index, child in enumerate(node.children or ()):
        traverser.pre_processing_of_child(node, index)
        if _is_kind(child.__class__, (_nodes.Node,)):
            _traverse_with(traverser, child, index, kinds)
    if _is_kind(node.__class__, kinds):
        node = traverser.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


def _find_clauses(node: Any, kinds: list[type]) -> list[Any]:
    found = []
    for child in node.children or ():
        if type(child) in kinds:
            found.append(child)
        elif _is_kind(child.__class__, (_nodes.Expression, _nodes.UpdateExpressionFunction)):
            found += child.find_clauses(kinds)
    return found


@cache
def _is_kind(kind: Any, kinds: Any) -> bool:
    """Return whether objects of a class are instances of one of some classes, which are abstract and slow to ask."""
    return issubclass(kind, kinds)


def _parse_condition_once(parser: Any) -> Any:
    if not parser.condition_expression:
        return _parse_condition(parser)
    names, values = parser.expression_attribute_names, parser.expression_attribute_values
    operation, names_found, values_found = _parsed_condition(parser.condition_expression, _Inputs(names, values))
    parser.expr_attr_names_found.extend(names_found)
    parser.expr_attr_values_found.extend(values_found)
    return operation


class _Inputs:
    """The names and values of a condition, as one that has been parsed with them is found again."""

    def __init__(self, names: Any, values: Any) -> None:
        self.names, self.values = names, values
        self._text = repr((names, values))

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inputs) and self._text == other._text


@lru_cache(maxsize=64)
def _parsed_condition(expression: str, inputs: _Inputs) -> tuple[Any, list[str], list[str]]:
    parser = comparisons.ConditionExpressionParser(expression, inputs.names, inputs.values)
    return _parse_condition(parser), parser.expr_attr_names_found, parser.expr_attr_values_found
