"""In-silico evolution: sequences changed letter by letter until a model scores them as wanted."""
