//! Code generated from `wit/`, which no author sees. One world has the imports; the lifecycle and each hook have a tiny
//! world of their own, so that a component exports only the hooks that its plugin names.

/// What the host offers.
pub mod imports {
    wit_bindgen::generate!({ path: "wit", world: "host" });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world lifecycle { export hubbub:plugin/lifecycle@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/lifecycle",
        pub_export_macro: true,
    });
}

pub mod on_connect {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-connect { export hubbub:plugin/on-connect@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-connect",
        pub_export_macro: true,
    });
}

pub mod on_message {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-message { export hubbub:plugin/on-message@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-message",
        pub_export_macro: true,
    });
}

pub mod on_join {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-join { export hubbub:plugin/on-join@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-join",
        pub_export_macro: true,
    });
}

pub mod on_leave {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-leave { export hubbub:plugin/on-leave@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-leave",
        pub_export_macro: true,
    });
}

pub mod on_disconnect {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-disconnect { export hubbub:plugin/on-disconnect@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-disconnect",
        pub_export_macro: true,
    });
}

pub mod on_answer {
    wit_bindgen::generate!({
        inline: "package hubbub:sdk; world on-answer { export hubbub:plugin/on-answer@0.1.0; }",
        path: "wit",
        world: "hubbub:sdk/on-answer",
        pub_export_macro: true,
    });
}
