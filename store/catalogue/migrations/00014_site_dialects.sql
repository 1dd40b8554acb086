-- +goose Up
-- A peer's record says which dialect, version and profile it speaks. Until now an empty dialect meant "not known yet".
alter table site add column dialect_version text not null default '';
alter table site add column profile text not null default '';
update site set dialect = 'native', dialect_version = '1', profile = 'signed' where dialect in ('', 'openflow');
update site set dialect_version = '2', profile = 'unsigned' where dialect = 'fate-flow';
