"""Who imports whom: down only. And a platform's name stands in its own files, nowhere in generic code."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "socialconsole"
# The `twitter:` of link cards is a name that pages of all kinds use.
PLATFORMS = re.compile(r"\b(facebook|instagram|linkedin|twitter(?!:)|tiktok|youtube|x\.com|meta platforms)\b",
                       re.IGNORECASE)

# From the edges down to the ground; a module may import its own layer and those below.
LAYERS = (
    {"cli", "platform_commands", "config_commands", "doctor_command", "people_commands", "workspace_commands",
     "account_commands", "post_commands", "key_commands", "event_commands", "completion_command", "mcp_command",
     "mcp_server", "terminal", "named", "start", "roles", "supervisor"},
    {"web", "api", "ticker", "workers", "jobs", "heartbeat", "metrics", "board", "checklist", "doctor", "troubles", ""},
    {"configure_form", "configure_sandbox", "configure", "configure_checks", "configure_losses", "paste",
     "redirect_compare", "holding", "credentials", "address_check", "connections", "connect_links", "disconnections",
     "publishing", "plain_posts", "following", "outcomes", "decisions", "draft_posts", "csv_posts", "rehearsal",
     "moving", "profile_sync", "withdrawals", "retention", "incidents", "findings", "letters", "digests",
     "installation_file", "installation_plan", "installation_apply"},
    {"posts", "post_lists", "diagnosis", "series", "calendars", "feeds", "expiry"},
    {"checks"},
    {"uploads", "library", "thumbnails"},
    {"drafts", "tokens", "spool", "slots", "risks", "lights", "receipts", "canaries"},
    {"media", "previews", "appearance", "explanations", "converting", "deliveries", "platform_apps", "accounts",
     "managed_apps", "breaker", "members", "people", "workspaces", "outbox", "alerts", "weather", "api_keys", "plans"},
    {"webhooks"},
    {"access", "logins", "passwords", "audit", "assets", "journal", "store", "recordings"},
    {"models", "models_api", "keys", "migrating", "migrations", "tallies", "lately"},
    {"clock", "together", "takedown"},
    {"database"},
    {"providers"},
    {"vault", "outside", "recorder", "guarded", "measuring", "containers", "locations", "pdf_pages", "errors", "times",
     "picture_load", "mail", "media_store", "media_s3", "text_links", "csv_text", "splitting", "logs", "config",
     "config_checks", "extensions", "public_ids", "address_seen", "proxy_lines", "processes", "video_frame"},
)
HEIGHT = {name: len(LAYERS) - number for number, names in enumerate(LAYERS) for name in names}


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "versions" not in path.parts]


def area(path):
    """The first name below the package: `web` for web/page.py, `tokens` for tokens.py, nothing for the package."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def imported(path):
    """The areas of ours that a module imports."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level == depth:  # relative to the package itself
                yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("socialconsole"):
            parts = (node.module or "").split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", [one for one in modules() if area(one) != "sandbox"],
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_layer_and_those_below(path):
    mine = HEIGHT[area(path)]
    above = {name for name in imported(path) if HEIGHT.get(name, 0) > mine and name not in ("create_app",)}
    assert not above


def test_the_console_and_its_sandbox_share_no_line():
    for path in modules():
        names = set(imported(path))
        if area(path) == "sandbox":
            assert names <= {"sandbox"} | {one.stem for one in (PACKAGE / "sandbox").glob("*.py")}, path
        elif area(path) != "roles":  # it starts the process
            assert "sandbox" not in names, path


def test_providers_know_no_flask_no_database_and_no_settings():
    for path in (PACKAGE / "providers").glob("*.py"):
        assert set(imported(path)) <= {"providers", "errors", "outside"} | {
            one.stem for one in (PACKAGE / "providers").glob("*.py")}, path
        assert not re.search(r"^(import|from) (flask|sqlalchemy)", path.read_text(), re.M), path


GENERIC = [one for one in (*modules(), *sorted((PACKAGE / "templates").glob("*.html")))
           if area(one) not in ("providers", "sandbox")]


@pytest.mark.parametrize("path", GENERIC, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_generic_code_names_no_platform(path):
    text = path.read_text()
    if path.suffix == ".py":  # what a comment or docstring tells about a platform decides nothing
        text = "\n".join(repr(node.value) for node in ast.walk(ast.parse(text))
                         if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
                         and not node.value.endswith("."))
    assert not PLATFORMS.findall(text)


def test_no_function_imports_to_dodge_a_circle():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)]
                assert set(inner) <= {"import pysqlite3.dbapi2 as module"}, path
