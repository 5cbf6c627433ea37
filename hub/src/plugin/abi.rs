//! The host's side of `hubbub:plugin`, generated from the WIT package. Kept alone: generating it takes time.

wasmtime::component::bindgen!({
    path: "../plugin-sdk/wit",
    world: "plugin",
    imports: {
        "hubbub:plugin/store.get": async | trappable,
        "hubbub:plugin/store.set": async | trappable,
        "hubbub:plugin/store.delete": async | trappable,
        "hubbub:plugin/store.compare-and-set": async | trappable,
        "hubbub:plugin/store.count": async | trappable,
        "hubbub:plugin/store.increment": async | trappable,
        "hubbub:plugin/store.push": async | trappable,
        "hubbub:plugin/store.items": async | trappable,
        "hubbub:plugin/store.add": async | trappable,
        "hubbub:plugin/store.remove": async | trappable,
        "hubbub:plugin/store.remove-below": async | trappable,
        "hubbub:plugin/store.members": async | trappable,
        "hubbub:plugin/store.once": async | trappable,
        "hubbub:plugin/store.meter": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub(super) use self::exports::hubbub::plugin as hooks;
pub(super) use self::hubbub::plugin as imports;
