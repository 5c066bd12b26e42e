"""How well embeddings tell dogs apart: figures, simulations and reports, the same for users, harness and trainers."""
