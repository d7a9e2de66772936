"""How kernels are recorded, and carried out by a team of threads. README.md has an overview."""
