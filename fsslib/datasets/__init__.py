"""Making and checking datasets: layouts, annotation readers, the embedded benchmark."""
