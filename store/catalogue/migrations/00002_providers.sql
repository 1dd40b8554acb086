-- Of release 0.2.0: images as providers, how components stand, who vouches for what, and the protocol of a task.

-- +goose Up
alter table task add column protocol text not null default ''; -- name@version

alter table provider add column archive text not null default ''; -- digest of the file that an image is loaded from
alter table provider add column papers  text not null default ''; -- digest of its row of provider_papers, less the key

-- How each component stands. The column machine names the one that has found why it fails.
alter table component add column state text not null default 'LOADED';
alter table component add column since bigint not null default 0;
alter table component add column machine text not null default '';
alter table component add column reason text not null default '';

-- What was disabled is not loaded. A description was the component's own text, which is read into the model when a node starts.
update component set state = 'UNLOADED' where exists (
  select 1 from provider where provider.name = component.provider and provider.version = component.version and not provider.enabled
);
update component set description = '{"description":' || description || '}', since = (
  select added_at from provider where provider.name = component.provider and provider.version = component.version
);
alter table provider drop column enabled;

-- Who vouches for a provider, and what it is made of. The papers are of that content only, whatever has the name later.
create table provider_papers (
  name       text not null,
  version    text not null,
  digest     text not null,
  signatures text not null, -- JSON
  sbom       text not null, -- CycloneDX, JSON
  origin     text not null, -- of the SBOM
  primary key (name, version)
);
