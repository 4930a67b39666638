module brakeline.example/drivelog

go 1.19
