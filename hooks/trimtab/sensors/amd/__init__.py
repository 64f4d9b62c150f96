"""AMD's GPUs, by AMD SMI."""
