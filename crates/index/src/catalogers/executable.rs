//! Packages within executables: what compilers and builders leave in ELF, PE and Mach-O files.

mod classifier;
mod dotnet;
mod elf_note;
mod go_binary;
mod go_build_info;
mod go_flags;
mod graalvm;
mod rust_binary;
mod window;

use std::sync::Arc;

use crate::Cataloger;

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(go_binary::GoBinary),
        Arc::new(rust_binary::RustBinary),
        Arc::new(graalvm::GraalVm),
        Arc::new(dotnet::DotnetBinary),
        Arc::new(elf_note::ElfNote),
        Arc::new(classifier::Classifier),
    ]
}
