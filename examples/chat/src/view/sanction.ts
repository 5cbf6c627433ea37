// What a moderator may do to a member: the menu's entries, and the dialogs behind them.

import type { Moderation, SanctionKind } from "../model/moderation";
import type { Session } from "../model/session";
import type { Thread } from "../model/thread";
import type { Member } from "../model/wire";
import { openForm, type Field } from "./dialog";
import type { MenuItem } from "./menu";

const DURATIONS: [string, string][] = [
  ["300", "5 minutes"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "1 week"],
  ["", "Until it is lifted"],
];

const KINDS: Record<SanctionKind, { title: (name: string) => string; label: string; intro: string; done: (name: string) => string }> = {
  mute: {
    title: (name) => `Mute ${name}`,
    label: "Mute",
    intro: "May read and delete, and nothing else.",
    done: (name) => `${name} is muted.`,
  },
  ban: {
    title: (name) => `Ban ${name}`,
    label: "Ban",
    intro: "Is put out, and may not come back before the ban ends.",
    done: (name) => `${name} is banned.`,
  },
  shadow: {
    title: (name) => `Shadow ban ${name}`,
    label: "Shadow ban",
    intro: "Sees what it says, and nobody else does. It is not told.",
    done: (name) => `${name} is shadow banned.`,
  },
};

export function moderatorItems(session: Session, moderation: Moderation, thread: Thread, member: Member): MenuItem[] {
  const item = (label: string, act: () => void): MenuItem => ({ label, act, danger: true });
  return [
    item("Kick", () => openKick(session, moderation, thread, member)),
    ...(["mute", "ban", "shadow"] as const).map((kind) => item(KINDS[kind].label, () => openSanction(session, moderation, thread, member, kind))),
  ];
}

function whereField(thread: Thread): Field {
  const options: [string, string][] = [
    [thread.name, `In ${thread.title}`],
    ["", "Everywhere"],
  ];
  return { name: "room", label: "Where", options, value: thread.name };
}

const REASON: Field = { name: "reason", label: "Reason", maxlength: 200 };

function openKick(session: Session, moderation: Moderation, thread: Thread, member: Member): void {
  const fields = [whereField(thread), { ...REASON, hint: `${member.name} reads it, and may come back.` }];
  openForm(`Kick ${member.name}`, fields, { label: "Kick", danger: true }, async ({ room, reason }) => {
    await moderation.kick(member, { room, reason });
    session.notice(`${member.name} is out.`, "good");
  });
}

function openSanction(session: Session, moderation: Moderation, thread: Thread, member: Member, kind: SanctionKind): void {
  const { title, label, intro, done } = KINDS[kind];
  const hint = kind === "shadow" ? "Only moderators read it." : `${member.name} reads it.`;
  const fields: Field[] = [
    whereField(thread),
    { name: "seconds", label: "How long", options: DURATIONS, value: "3600" },
    { ...REASON, hint },
  ];
  const submit = async ({ room, seconds, reason }: Record<string, string>): Promise<void> => {
    await moderation.sanction(kind, member, { room, seconds: seconds ? Number(seconds) : undefined, reason });
    session.notice(done(member.name), "good");
  };
  openForm(title(member.name), fields, { label, danger: true }, submit, intro);
}
