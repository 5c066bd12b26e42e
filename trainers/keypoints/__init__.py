"""Face points: eyes, ears and nose of a detected dog."""
