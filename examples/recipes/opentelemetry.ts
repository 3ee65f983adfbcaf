// OpenTelemetry: a span for each task's run, within the span of the request that added it.
import { tracingChannel } from 'node:diagnostics_channel'
import { SpanStatusCode, context, trace, type Span } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import Fastify from 'fastify'
import fastifyTasks, { type Task } from 'fastify-tasks'

/** Needs a global tracer provider and context manager, which the OpenTelemetry SDK sets up. */
function traceTasks (): void {
  const tracer = trace.getTracer('fastify-tasks')
  const spans = new WeakMap<Task, Span>()

  // A task starts in the async context of the call of addTask, so its span becomes a child of the span there.
  function begin ({ task }: { task: Task }): void {
    spans.set(task, tracer.startSpan(`task ${task.name}`, { attributes: { 'task.name': task.name } }))
  }

  function fail ({ task, error }: { task: Task, error: unknown }): void {
    // Stopped by a cancel: not a failure.
    if (task.state === 'cancelling') return
    spans.get(task)?.recordException(error as Error)
    spans.get(task)?.setStatus({ code: SpanStatusCode.ERROR })
  }

  function finish ({ task }: { task: Task }): void {
    spans.get(task)?.setAttribute('task.cancelled', task.state === 'cancelling').end()
    spans.delete(task)
  }

  tracingChannel<string, { task: Task }>('fastify-tasks.run').subscribe({
    start: begin,
    // The synchronous part has ended. If it threw, no asynchronous part follows.
    end: (message) => { if ('error' in message) finish(message) },
    asyncStart () {},
    asyncEnd: finish,
    error: fail
  })
}

async function main (): Promise<void> {
  const exporter = new InMemorySpanExporter()
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  traceTasks()

  const app = Fastify()
  await app.register(fastifyTasks)
  const tracer = trace.getTracer('http')

  app.post('/reports/:id', async (request, reply) => {
    // Usually @fastify/otel does this.
    const { id } = request.params as { id: string }
    tracer.startActiveSpan(`POST /reports/${id}`, (span) => {
      app.addTask(async (_app, { signal }) => {
        if (id === 'bad') throw new Error('no such report')
        if (id === 'long') await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }, { name: `report:${id}` })
      span.end()
    })
    return reply.code(202).send()
  })

  for (const id of ['good', 'bad', 'long']) {
    await app.inject({ method: 'POST', url: `/reports/${id}` })
    const task = app.getTask(`report:${id}`)!
    // Wait for its start, then cancel the long one.
    while (task.startedAt === undefined) await new Promise((resolve) => setImmediate(resolve))
    if (id === 'long') task.cancel()
    await task.then(() => {}, () => {})
  }
  await app.close()

  const spans = exporter.getFinishedSpans()
  for (const span of spans.filter(({ name }) => name.startsWith('task'))) {
    const parent = spans.find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId)
    const outcome = span.attributes['task.cancelled'] === true ? 'cancelled' : span.status.code === SpanStatusCode.ERROR ? 'failed' : 'ok'
    console.log(`${span.name} in ${parent?.name}: ${outcome}`)
  }
}

main()
