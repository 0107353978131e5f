"""The API for programs, `/api/v1`: management of credentials as JSON, described by an OpenAPI document."""
