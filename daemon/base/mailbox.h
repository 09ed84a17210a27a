/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The one way up: threads post owned messages, the loop takes them when mailbox_fd() becomes readable. A message
 * carries the number of the migration it speaks of, never a pointer to an object that could be gone. */

#include <stdbool.h>

#include <glib.h>

typedef struct Mailbox Mailbox;

typedef struct Message {
        struct Message *next; /* the mailbox's own */
        guint64 id;           /* which migration */
        int kind;             /* the sender's enum */
        gpointer data;        /* owned by the message */
        GDestroyNotify free_data;
} Message;

Mailbox *mailbox_new(void);
void mailbox_free(Mailbox *mailbox);
int mailbox_fd(const Mailbox *mailbox);

/* Any thread. Takes DATA over; the loop is woken only when the box was empty. */
void mailbox_post(Mailbox *mailbox, guint64 id, int kind, gpointer data, GDestroyNotify free_data);
/* The loop's thread: all messages in order of posting, as a list to be walked by ->next and freed one by one. */
Message *mailbox_take_all(Mailbox *mailbox);
void message_free(Message *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mailbox, mailbox_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)
