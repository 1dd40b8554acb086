-- What the users of a job or task should know of it: a JSON list of texts, empty for none.

-- +goose Up
alter table job add column warnings text not null default '';
alter table task add column warnings text not null default '';
