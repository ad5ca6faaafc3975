-- How far each use moves a viewing window on, seconds; and when it let a media session in, where every
-- session needs a code of its own.
ALTER TABLE step_up ADD COLUMN idle INTEGER NOT NULL DEFAULT 900;
ALTER TABLE step_up ADD COLUMN spent_at INTEGER;
