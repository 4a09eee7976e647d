module project.invalid/keyfob

go 1.19
