"""What stands in which room, where the direction of imports alone would not tell."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/valorem"
STORE = SOURCE / "store"
ELSEWHERE = sorted(each for each in SOURCE.rglob("*.py") if not each.is_relative_to(STORE))
STATEMENT = re.compile(
    r"\s*(SELECT\s.+\sAS\s|SELECT\s.+\sFROM\s|SELECT\s+\w+\(|INSERT\s+INTO\s|UPDATE\s.+\sSET\s|DELETE\s+FROM\s|WITH\s.+\sAS\s*\("
    r"|LISTEN\s|NOTIFY\s|LOCK\s+TABLE\s|SET\s+LOCAL\s|COPY\s.+\s(FROM|TO)\s+STDIN)",
    re.DOTALL,
)
SENDS = {"execute", "executemany"}


def statements(source: str) -> list[str]:
    """Where SQL is written or sent: a text that reads as a statement, or a call that only a connection answers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if STATEMENT.match(text):
                found.append(f"line {node.lineno}: {text.strip()[:40]}")
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (
                node.func.attr in SENDS
                or (node.func.attr == "connect" and ast.unparse(node.func.value) == "psycopg")
            )
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute(QUERY)",
        'q = "SELECT count(*) AS n FROM event"',
        'q = f"LISTEN {channel}"',
        'q = "UPDATE contract SET next_at = %s"',
        "q = '''\\n    WITH due AS (SELECT 1)'''",
        "psycopg.connect(url)",
    ],
)
def test_sql_is_recognised(source: str) -> None:
    assert statements(source)


def test_what_only_reads_like_sql_is_none() -> None:
    assert not statements('"""Select what is due."""\nx = "update the plan"\nrun(copy(1))')


def test_a_command_waits_for_no_import_that_it_does_not_need() -> None:
    """Each command is a start of the program: what one of them alone needs is imported when it runs."""
    heavy = ("pydantic", "pyarrow", "numpy", "fastapi", "sqlalchemy", "psycopg", "duckdb", "valorem.engine")
    program = f"import sys, valorem.cli.main; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_sql_is_written_in_the_store_alone() -> None:
    assert len(ELSEWHERE) > 300
    found = {
        str(each.relative_to(SOURCE)): lines
        for each in ELSEWHERE
        if (lines := statements(each.read_text(encoding="utf-8")))
    }
    assert found == {}
