"""Genomic files (sequences, genomes, regions, variants), read strictly; errors name the file and the line."""
