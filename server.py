"""The process: parse arguments, run; nothing else."""

import sys

from keeper_grpc.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
