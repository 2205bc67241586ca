"""What helps a class: is this computer ready, are the answers right, what to hand out."""
