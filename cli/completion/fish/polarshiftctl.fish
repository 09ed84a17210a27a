# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of polarshiftctl for fish: verbs, options, and the names that the agent knows.

function __polarshiftctl_migrations
    polarshiftctl list --no-legend --no-pager --timeout=2s 2>/dev/null | string replace -r ' .*' ''
end

function __polarshiftctl_credentials
    polarshiftctl credentials --no-ask-password --timeout=2s 2>/dev/null
end

# The words that are no options, behind the command itself.
function __polarshiftctl_words
    set -l words (commandline -opc)
    for word in $words[2..-1]
        string match -q -- '-*' $word; or echo $word
    end
end

function __polarshiftctl_needs_verb
    test (count (__polarshiftctl_words)) -eq 0
end

# __polarshiftctl_at N VERB...: the Nth word behind one of the verbs is being typed.
function __polarshiftctl_at
    set -l words (__polarshiftctl_words)
    test (count $words) -eq $argv[1]; and contains -- $words[1] $argv[2..-1]
end

function __polarshiftctl_verb
    set -l words (__polarshiftctl_words)
    test (count $words) -gt 0; and contains -- $words[1] $argv
end

complete -c polarshiftctl -f

complete -c polarshiftctl -s h -l help -d 'Show help'
complete -c polarshiftctl -l version -d 'Show the version'
complete -c polarshiftctl -l json -x -a 'pretty short off' -d 'Print JSON, errors too'
complete -c polarshiftctl -s j -d 'Same as --json=pretty'
complete -c polarshiftctl -l wait -d 'Wait for the end of the operation'
complete -c polarshiftctl -l no-wait -d 'Return once the operation was accepted'
complete -c polarshiftctl -l timeout -x -d 'Wait no longer than this'
complete -c polarshiftctl -s y -l yes -d 'Do not ask for confirmation'
complete -c polarshiftctl -s q -l quiet -d 'Print results and errors only'
complete -c polarshiftctl -l no-pager -d 'Do not pipe long output into a pager'
complete -c polarshiftctl -l no-legend -d 'No headings and no hints'
complete -c polarshiftctl -l no-ask-password -d 'Do not ask for authorisation'
complete -c polarshiftctl -l address -x -d 'The bus on which the agent is'

set -l verb __polarshiftctl_needs_verb
complete -c polarshiftctl -n $verb -a list -d 'List the migrations'
complete -c polarshiftctl -n $verb -a status -d 'Where migrations stand'
complete -c polarshiftctl -n $verb -a show -d 'Properties of a migration'
complete -c polarshiftctl -n $verb -a create -d 'Create a migration'
complete -c polarshiftctl -n $verb -a check -d 'Check both servers'
complete -c polarshiftctl -n $verb -a start -d 'Begin to copy'
complete -c polarshiftctl -n $verb -a pause -d 'Stop copying and applying for a while'
complete -c polarshiftctl -n $verb -a resume -d 'Go on, also after a failure'
complete -c polarshiftctl -n $verb -a verify -d 'Compare all rows of both sides'
complete -c polarshiftctl -n $verb -a repair -d 'Copy rows that differ again'
complete -c polarshiftctl -n $verb -a switch -d 'Move the writes to the destination'
complete -c polarshiftctl -n $verb -a confirm -d 'Keep a switch that waits to be confirmed'
complete -c polarshiftctl -n $verb -a rollback -d 'Move the writes back to the source'
complete -c polarshiftctl -n $verb -a complete -d 'End a switched migration for good'
complete -c polarshiftctl -n $verb -a cancel -d 'Give a migration up before it is switched'
complete -c polarshiftctl -n $verb -a abort -d 'Undo the running operation'
complete -c polarshiftctl -n $verb -a remove -d 'Forget a migration that ended'
complete -c polarshiftctl -n $verb -a watch -d 'Look on'
complete -c polarshiftctl -n $verb -a wait -d 'Wait for a phase, or for the running operation'
complete -c polarshiftctl -n $verb -a log -d 'What happened'
complete -c polarshiftctl -n $verb -a report -d 'The certificate of a migration'
complete -c polarshiftctl -n $verb -a plan -d 'What an operation would do now'
complete -c polarshiftctl -n $verb -a limits -d 'Change the limits'
complete -c polarshiftctl -n $verb -a endpoint -d 'Where a side is now reached, while paused'
complete -c polarshiftctl -n $verb -a acknowledge -d 'Accept foreign writes after a look at them'
complete -c polarshiftctl -n $verb -a set-credential -d 'Store a password, or a certificate or key'
complete -c polarshiftctl -n $verb -a remove-credential -d 'Forget a credential'
complete -c polarshiftctl -n $verb -a credentials -d 'Names of the credentials'
complete -c polarshiftctl -n $verb -a permissions -d 'What you may do'
complete -c polarshiftctl -n $verb -a cluster -d 'Clusters that the agent provisions'

complete -c polarshiftctl -n '__polarshiftctl_at 1 status show check start pause resume verify repair switch confirm rollback complete cancel abort remove watch wait log report plan limits endpoint acknowledge' \
    -a '(__polarshiftctl_migrations)' -d Migration
complete -c polarshiftctl -n '__polarshiftctl_at 1 set-credential remove-credential' -a '(__polarshiftctl_credentials)' -d Credential
complete -c polarshiftctl -n '__polarshiftctl_at 1 cluster' -a 'list status create rename binlog allow stop start remove'
complete -c polarshiftctl -n '__polarshiftctl_at 2 plan' -a 'switch rollback complete cancel'
complete -c polarshiftctl -n '__polarshiftctl_at 2 endpoint' -a 'source destination'
complete -c polarshiftctl -n '__polarshiftctl_verb limits' \
    -a 'copy-threads= apply-threads= max-source-load= max-copy-rate= max-delay= expire-after='

complete -c polarshiftctl -n '__polarshiftctl_verb create' -l source -x -d 'Where it comes from (URI)'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l destination -x -d 'Where it goes (URI)'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l cluster -x -d 'A provisioned cluster'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l create-type -x -a 'migrate clone' -d Kind
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l include -x -d 'Only these'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l exclude -x -d 'Not these'
complete -c polarshiftctl -n '__polarshiftctl_verb create switch rollback plan' -l max-delay -x -d 'Delay at which a switch is refused'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l expire-after -x -d 'When it ends by itself'
complete -c polarshiftctl -n '__polarshiftctl_verb create' -l start -d 'Start it at once'
complete -c polarshiftctl -n '__polarshiftctl_verb create start' -l accept-warnings -d 'Start although checks warn'
complete -c polarshiftctl -n '__polarshiftctl_verb create switch rollback complete cancel' -s n -l dry-run -d 'Change nothing'
complete -c polarshiftctl -n '__polarshiftctl_verb switch rollback plan' -l deadline -x -d 'Undo when it takes longer'
complete -c polarshiftctl -n '__polarshiftctl_verb switch rollback plan' -l confirm-within -x -d 'Go back unless confirmed in time'
complete -c polarshiftctl -n '__polarshiftctl_verb switch rollback plan' -l expected-generation -x -d 'Refuse if it changed'
complete -c polarshiftctl -n '__polarshiftctl_verb switch rollback plan' -l kill-sessions -d 'End sessions in the way'
complete -c polarshiftctl -n '__polarshiftctl_verb complete cancel plan' -l disable-binlog -d 'Switch the binary log of the destination off'
complete -c polarshiftctl -n '__polarshiftctl_verb complete cancel plan' -l without-unreachable -d 'Do without a side that cannot be reached'
complete -c polarshiftctl -n '__polarshiftctl_verb resume' -l ddl -x -a 'retry skip done-by-hand' -d 'The statement that stopped it'
complete -c polarshiftctl -n '__polarshiftctl_verb show' -s p -l property -x -d 'Only this property'
complete -c polarshiftctl -n '__polarshiftctl_verb show' -l value -d 'Only the value'
complete -c polarshiftctl -n '__polarshiftctl_verb wait' -l for -x -a 'created copying synchronizing switched completed canceled' -d Phase
complete -c polarshiftctl -n '__polarshiftctl_verb log' -s f -l follow -d 'Go on printing'
complete -c polarshiftctl -n '__polarshiftctl_verb log' -l lines -x -d 'Only the last ones'
complete -c polarshiftctl -n '__polarshiftctl_verb report' -l format -x -a 'text json html' -d Form
complete -c polarshiftctl -n '__polarshiftctl_verb set-credential' -l password-file -r -F -d 'Read it from here'
complete -c polarshiftctl -n '__polarshiftctl_verb cluster' -l delete-data -d 'Its data, too'
complete -c polarshiftctl -n 'not __polarshiftctl_needs_verb' -s o -x -d 'Set any option of the call (KEY=VALUE)'
