"""A long history through `keeper import`: rows a second beside what the capture path allows, and memory on all sides."""
