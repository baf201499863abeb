"""Generate `keeper_grpc/gen` from the protos: `python tools/generate_stubs.py [--check]`.

With --check nothing is changed; the exit code is 1 when the committed stubs differ.
"""

import argparse
import filecmp
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GEN = ROOT / "keeper_grpc" / "gen"
# protoc writes imports from the proto root; inside a package they need the package's name before.
IMPORT = re.compile(r"^(\s*)(from|import) (keeper|buf)([. ])", re.MULTILINE)
DOTTED = re.compile(r"(?<![\w.\"'/])(keeper\.network\.v1|buf\.validate)\.(\w+_pb2)")


def generate(out: Path) -> None:
    """Write a fresh set of stubs into `out`."""
    subprocess.run(
        [str(ROOT / ".venv/bin/buf"), "generate", "--output", str(out)], cwd=ROOT, check=True
    )
    package = out / "keeper_grpc" / "gen"
    for stub in [*package.rglob("*.py"), *package.rglob("*.pyi")]:
        text = IMPORT.sub(r"\1\2 keeper_grpc.gen.\3\4", stub.read_text())
        stub.write_text(
            DOTTED.sub(r"keeper_grpc.gen.\1.\2", text) if stub.suffix == ".pyi" else text
        )
    # mypy_grpc also writes a stub for each file without a service, beside no module at all.
    for stub in package.rglob("*_pb2_grpc.pyi"):
        if not stub.with_suffix(".py").exists():
            stub.unlink()
    # The well-known types ship with the runtime.
    shutil.rmtree(package / "google", ignore_errors=True)
    for directory in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").write_text(
            '"""Generated from protos/ by `make gen`; do not edit."""\n'
        )


def difference(left: Path, right: Path) -> list[str]:
    """Paths below either directory that are missing in one or differ."""
    names = {
        path.relative_to(base)
        for base in (left, right)
        for path in base.rglob("*.py*")
        if path.suffix in {".py", ".pyi"}
    }
    return sorted(
        str(name)
        for name in names
        if not (left / name).exists()
        or not (right / name).exists()
        or not filecmp.cmp(left / name, right / name, shallow=False)
    )


def main() -> int:
    """Generate, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        generate(out)
        fresh = out / "keeper_grpc" / "gen"
        if not check:
            shutil.rmtree(GEN, ignore_errors=True)
            shutil.copytree(fresh, GEN)
            return 0
        stale = difference(fresh, GEN)
    for name in stale:
        print(f"keeper_grpc/gen/{name} differs from the protos: run `make gen`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
