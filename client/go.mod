module github.com/herald-push/herald/client

go 1.25.0
