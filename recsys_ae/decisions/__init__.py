"""What is made of tracked runs: compared with each other, published under names, promoted to champions."""
