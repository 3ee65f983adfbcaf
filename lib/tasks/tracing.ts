import { tracingChannel } from 'node:diagnostics_channel'
import type { Task } from '../../types/task'

/** What subscribers of `fastify-tasks.run` are given. */
export interface RunMessage {
  task: Task
}

/** `tracing:fastify-tasks.run:*`: published around each task's run, while somebody listens. */
export const runChannel = tracingChannel<string, RunMessage>('fastify-tasks.run')
