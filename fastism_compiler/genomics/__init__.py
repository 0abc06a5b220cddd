"""Genomic files: sequences, genomes, regions and variants, read strictly, by file name and line number."""
