"""The parts that commands are declared with: arguments, parser, the shape of a subcommand."""
