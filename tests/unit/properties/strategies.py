"""Hypothesis strategies for arbitrary input of parsers."""

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(), max_size=60)
"""Includes lone surrogates, which JSON and Python strings can contain."""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=12
)
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
