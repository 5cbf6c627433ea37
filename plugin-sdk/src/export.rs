//! The one macro: makes a component of a plugin.

/// Makes a plugin of a type: names the hooks that the component exports. A hook that is not named is never called,
/// even when its trait is implemented.
///
/// ```
/// use hubbub_plugin::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Chat {}
///
/// impl Plugin for Chat {}
/// impl OnMessage for Chat {
///     const EVENTS: &'static [&'static str] = &["say", "say:*"];
///
///     fn on_message(&self, event: &MessageEvent) -> Outcome {
///         event.retarget(To::everyone());
///         Ok(Pass)
///     }
/// }
/// impl OnJoin for Chat {
///     fn on_join(&self, _event: &JoinEvent) -> Outcome {
///         Ok(Pass)
///     }
/// }
///
/// hubbub_plugin::export!(Chat: OnMessage, OnJoin);
/// ```
///
/// A name that is no hook is an error of the compiler's:
///
/// ```compile_fail
/// # use hubbub_plugin::prelude::*;
/// # #[derive(Deserialize)]
/// # struct Chat {}
/// # impl Plugin for Chat {}
/// hubbub_plugin::export!(Chat: OnShout);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($hook:ident),+ $(,)?) => {
        const _: () = {
            const MANIFEST: $crate::private::Manifest = $crate::private::Manifest {
                name: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                messages: $crate::private::first(&[$($crate::__hook!(@events $hook $plugin)),+]),
                namespaces: <$plugin as $crate::Plugin>::NAMESPACES,
            };

            #[cfg(target_family = "wasm")]
            const _: () = {
                #[used]
                #[unsafe(link_section = "hubbub:manifest")]
                static SECTION: [u8; MANIFEST.json_len()] = MANIFEST.json();

                ::std::thread_local! {
                    static INSTANCE: $crate::private::Instance<$plugin> =
                        const { $crate::private::Instance::new() };
                }

                struct Component;

                impl $crate::private::bindings::lifecycle::exports::hubbub::plugin::lifecycle::Guest for Component {
                    fn init(config: ::std::string::String) -> ::core::result::Result<(), ::std::string::String> {
                        INSTANCE.with(|instance| instance.init(&config))
                    }
                }
                $crate::private::bindings::lifecycle::export!(
                    Component with_types_in $crate::private::bindings::lifecycle
                );

                $($crate::__hook!(@component $hook $plugin);)+
            };

            // a plugin that no test of its own crate runs is used all the same
            #[cfg(not(target_family = "wasm"))]
            const _: fn(&str) -> ::core::result::Result<$plugin, ::std::string::String> =
                $crate::read_config::<$plugin>;

            #[cfg(not(target_family = "wasm"))]
            impl $crate::testing::Exported for $plugin {
                const MANIFEST: $crate::private::Manifest = MANIFEST;

                fn hooks() -> $crate::testing::Hooks<Self> {
                    #[allow(unused_mut, reason = "a plugin of many hooks sets them one by one")]
                    let mut hooks = $crate::testing::Hooks::none();
                    $($crate::__hook!(@native hooks $hook $plugin);)+
                    hooks
                }
            }
        };
    };
}

/// What [`export!`](crate::export!) makes of one hook.
#[doc(hidden)]
#[macro_export]
macro_rules! __hook {
    (@events OnMessage $plugin:ty) => { <$plugin as $crate::OnMessage>::EVENTS };
    (@events $hook:ident $plugin:ty) => { &[] };

    (@component OnConnect $plugin:ty) => { $crate::__hook!(@guest on_connect OnConnect ConnectEvent $plugin); };
    (@component OnMessage $plugin:ty) => { $crate::__hook!(@guest on_message OnMessage MessageEvent $plugin); };
    (@component OnJoin $plugin:ty) => { $crate::__hook!(@guest on_join OnJoin JoinEvent $plugin); };
    (@component OnLeave $plugin:ty) => { $crate::__hook!(@guest on_leave OnLeave LeaveEvent $plugin); };
    (@component OnDisconnect $plugin:ty) => {
        $crate::__hook!(@guest on_disconnect OnDisconnect DisconnectEvent $plugin);
    };
    (@component OnAnswer $plugin:ty) => { $crate::__hook!(@guest on_answer OnAnswer AnswerEvent $plugin); };
    (@component $hook:ident $plugin:ty) => { $crate::__hook!(@unknown $hook); };
    (@guest $name:ident $trait:ident $event:ident $plugin:ty) => {
        impl $crate::private::bindings::$name::exports::hubbub::plugin::$name::Guest for Component {
            fn handle() -> ::core::result::Result<(), ::std::string::String> {
                INSTANCE.with(|instance| {
                    let event = $crate::private::ambient::$name();
                    $crate::private::finish(<$plugin as $crate::$trait>::$name(instance.get()?, &event))
                })
            }
        }
        $crate::private::bindings::$name::export!(Component with_types_in $crate::private::bindings::$name);
    };

    (@native $hooks:ident OnConnect $plugin:ty) => {
        $crate::__hook!(@set $hooks connect OnConnect on_connect $plugin);
    };
    (@native $hooks:ident OnMessage $plugin:ty) => {
        $crate::__hook!(@set $hooks message OnMessage on_message $plugin);
    };
    (@native $hooks:ident OnJoin $plugin:ty) => { $crate::__hook!(@set $hooks join OnJoin on_join $plugin); };
    (@native $hooks:ident OnLeave $plugin:ty) => { $crate::__hook!(@set $hooks leave OnLeave on_leave $plugin); };
    (@native $hooks:ident OnDisconnect $plugin:ty) => {
        $crate::__hook!(@set $hooks disconnect OnDisconnect on_disconnect $plugin);
    };
    (@native $hooks:ident OnAnswer $plugin:ty) => { $crate::__hook!(@set $hooks answer OnAnswer on_answer $plugin); };
    (@native $hooks:ident $hook:ident $plugin:ty) => { $crate::__hook!(@unknown $hook); };
    (@set $hooks:ident $kind:ident $trait:ident $name:ident $plugin:ty) => {
        $hooks.$kind = Some(<$plugin as $crate::$trait>::$name);
    };
    (@unknown $hook:ident) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($hook),
            "` is no hook: there are OnConnect, OnMessage, OnJoin, OnLeave, OnDisconnect and OnAnswer"
        ));
    };
}
