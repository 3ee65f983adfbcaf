/** An option of `addTask` beside `onClose: 'wait'`: when the app closes, the jobs plugin stops the task, by a `closeTimeout` of its own. */
export const kStoppedByJobs = Symbol.for('fastify-tasks.stopped-by-jobs')

export interface StoppedByJobs {
  [kStoppedByJobs]?: true
}
