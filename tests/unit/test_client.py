"""The Python client in the repository is what the OpenAPI document makes it."""

import importlib.util
import inspect
from pathlib import Path

from socialconsole.api.operations import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]


def load(path):
    found = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def test_the_client_is_as_the_document_makes_it():
    maker = load(ROOT / "scripts" / "make_client.py")
    assert maker.FILE.read_text() == maker.text(), "run .venv/bin/python scripts/make_client.py"


def test_every_call_of_the_api_is_a_method_with_its_words():
    client = load(ROOT / "clients" / "python" / "socialconsole_client.py").Client
    methods = {name: one for name, one in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_")}
    assert len(methods) == len(OPERATIONS) and all(one.__doc__ for one in methods.values())
