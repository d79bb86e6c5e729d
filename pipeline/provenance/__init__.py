"""What decides a stage's result beside its inputs and the job's spec: modules, data files, packages, pinned jars."""
