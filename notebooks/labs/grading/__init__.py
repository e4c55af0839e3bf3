"""Hand out labs and grade them: `python -m grading release | grade | mark`, from `make labs | grade | mark`."""
