//! What a `script` check runs.

/// A program of the operator's. No shell is involved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScriptCheck {
    /// The program's file, an absolute path.
    pub program: String,
    /// What it is given, its own name left out.
    pub arguments: Vec<String>,
}
