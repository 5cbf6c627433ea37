//! The host's side of `hubbub:plugin`, generated from the WIT package. Kept alone: generating it takes time.

wasmtime::component::bindgen!({
    path: "../plugin-sdk/wit",
    world: "plugin",
    imports: { default: trappable },
    exports: { default: async },
});

pub(super) use self::exports::hubbub::plugin as hooks;
pub(super) use self::hubbub::plugin as imports;
