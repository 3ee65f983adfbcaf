/**
 * What carries messages between processes: an [mqemitter](https://github.com/mcollina/mqemitter), such as `mqemitter-redis`, or
 * whatever behaves as one. It delivers to every subscriber of a topic, in this process and others, in the order of each
 * sender. Losing messages is allowed. The app does not close it.
 */
export interface Emitter {
  /** Subscribes to a topic. Calls back once the subscription is in effect. */
  on (topic: string, listener: (message: any, done: () => void) => void, done?: () => void): unknown
  /** Ends a subscription. */
  removeListener (topic: string, listener: (message: any, done: () => void) => void, done?: () => void): unknown
  /** Sends a message. Calls back once it is on its way, or with the error; it may also throw, or reject. */
  emit (message: { topic: string, payload: string }, done?: (error?: any) => void): unknown
}

/** A process as the others see it. `id` belongs to one app in it and is new at every start. */
export interface ProcessIdentity {
  id: string
  pid: number
  hostname: string
}
