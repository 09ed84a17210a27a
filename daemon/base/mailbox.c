/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list under a mutex and an eventfd; see mailbox.h. Pthreads, so that ThreadSanitizer sees the locking. */

#include "base/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct Mailbox {
        pthread_mutex_t lock;
        Message *first;
        Message **last;
        int fd;
};

Mailbox *mailbox_new(void) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                g_error("eventfd: %s", g_strerror(errno));

        Mailbox *mailbox = g_new0(Mailbox, 1);
        pthread_mutex_init(&mailbox->lock, /* attr= */ NULL);
        mailbox->last = &mailbox->first;
        mailbox->fd = fd;
        return mailbox;
}

void message_free(Message *message) {
        if (!message)
                return;
        if (message->free_data && message->data)
                message->free_data(message->data);
        g_free(message);
}

void mailbox_free(Mailbox *mailbox) {
        if (!mailbox)
                return;
        for (Message *m = mailbox->first, *next; m; m = next) {
                next = m->next;
                message_free(m);
        }
        close(mailbox->fd);
        pthread_mutex_destroy(&mailbox->lock);
        g_free(mailbox);
}

int mailbox_fd(const Mailbox *mailbox) {
        return mailbox->fd;
}

void mailbox_post(Mailbox *mailbox, guint64 id, int kind, gpointer data, GDestroyNotify free_data) {
        Message *message = g_new0(Message, 1);
        message->id = id;
        message->kind = kind;
        message->data = data;
        message->free_data = free_data;

        pthread_mutex_lock(&mailbox->lock);
        bool was_empty = !mailbox->first;
        *mailbox->last = message;
        mailbox->last = &message->next;
        pthread_mutex_unlock(&mailbox->lock);

        if (was_empty) {
                guint64 one = 1;
                while (write(mailbox->fd, &one, sizeof one) < 0 && errno == EINTR)
                        ;
        }
}

Message *mailbox_take_all(Mailbox *mailbox) {
        guint64 count;
        while (read(mailbox->fd, &count, sizeof count) < 0 && errno == EINTR)
                ;

        pthread_mutex_lock(&mailbox->lock);
        Message *first = mailbox->first;
        mailbox->first = NULL;
        mailbox->last = &mailbox->first;
        pthread_mutex_unlock(&mailbox->lock);
        return first;
}
