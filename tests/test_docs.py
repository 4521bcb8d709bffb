"""The pages in docs/ show what the committed JSON holds."""

import importlib.util
import pathlib

import pytest

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tables)

FILLED = [page for page in sorted(DOCS.rglob("*.md")) if tables.BLOCK.search(page.read_text())]


@pytest.mark.parametrize("page", FILLED, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_its_json(page):
    assert tables.filled(page.read_text()) == page.read_text()


def test_every_table_stands_on_one_page():
    shown = [name for page in FILLED for _, name, _ in tables.BLOCK.findall(page.read_text())]
    assert sorted(shown) == sorted(tables.TABLES)


def test_a_cell_that_was_changed_by_hand_is_noticed():
    (page,) = [page for page in FILLED if page.name == "voicegan.md"]
    text = page.read_text()
    assert tables.filled(text.replace("| generated | ", "| generated | 9")) == text
