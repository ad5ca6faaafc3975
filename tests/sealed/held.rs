//! What a process holds: its memory, and the files of a folder, searched for marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::support::process::signal;

/// Bytes of a mark that are looked for first.
const HEAD: usize = 8;
/// Memory that is read at once, bytes.
const CHUNK: usize = 8 * 1024 * 1024;

/// Marks by name, each of at least [`HEAD`] bytes.
pub(crate) struct Marks {
    all: Vec<(String, Vec<u8>)>,
    heads: HashMap<[u8; HEAD], Vec<usize>>,
    longest: usize,
}

/// Where each mark was found.
pub(crate) type Found = BTreeMap<String, BTreeSet<String>>;

impl Marks {
    pub(crate) fn new(all: Vec<(String, Vec<u8>)>) -> Self {
        let mut heads: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, (name, mark)) in all.iter().enumerate() {
            let head =
                *mark.first_chunk().unwrap_or_else(|| panic!("the mark {name} is too short"));
            heads.entry(head).or_default().push(at);
        }
        let longest = all.iter().map(|(_, mark)| mark.len()).max().expect("a mark");
        Self { all, heads, longest }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(name, _)| name.as_str())
    }

    /// Searches bytes that are called `place`.
    pub(crate) fn search(&self, place: &str, bytes: &[u8], found: &mut Found) {
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let Some(marks) = head.first_chunk().and_then(|head| self.heads.get(head)) else {
                continue;
            };
            for (name, mark) in marks.iter().map(|at| &self.all[*at]) {
                if bytes[at..].starts_with(mark) {
                    found.entry(name.clone()).or_default().insert(place.to_owned());
                }
            }
        }
    }

    /// Searches the memory of a process, which stands still meanwhile. Returns the bytes read.
    pub(crate) fn search_memory(&self, process: u32, found: &mut Found) -> usize {
        signal(process, "-STOP");
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
        let memory = File::open(format!("/proc/{process}/mem")).expect("its memory, as root");
        let mut read = 0;
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(is_data)) {
            let range = line.split(' ').next().expect("a range");
            let (start, end) = range.split_once('-').expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("a number");
            read += self.search_range(&memory, number(start)..number(end), found);
        }
        signal(process, "-CONT");
        read
    }

    fn search_range(&self, memory: &File, range: std::ops::Range<u64>, found: &mut Found) -> usize {
        let mut bytes = vec![0; CHUNK + self.longest];
        let mut read = 0;
        let mut at = range.start;
        while at < range.end {
            let wanted = bytes.len().min((range.end - at) as usize);
            // Guard pages and the kernel's own cannot be read.
            let Ok(got) = memory.read_at(&mut bytes[..wanted], at) else { break };
            self.search("memory", &bytes[..got], found);
            read += got.min(CHUNK);
            at += CHUNK.min(got.max(1)) as u64;
        }
        read
    }

    /// Searches every file under a folder. Returns the files read.
    pub(crate) fn search_folder(&self, folder: &Path, found: &mut Found) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files += self.search_folder(&path, found),
                Ok(kind) if kind.is_file() => {
                    let bytes = fs::read(&path).expect("a readable file");
                    self.search(&path.display().to_string(), &bytes, found);
                    files += 1;
                }
                _ => {}
            }
        }
        files
    }
}

/// Whether the rights of a mapping are those of data that a process made: readable and writable.
fn is_data(rights: &str) -> bool {
    rights.starts_with("rw")
}
