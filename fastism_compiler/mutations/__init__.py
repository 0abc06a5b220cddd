"""What is changed: sequences as arrays, letters, replacements, variants, and the job lists they become."""
