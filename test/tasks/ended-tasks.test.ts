import t from 'tap'
import { EndedTasks } from '../../lib/tasks/ended-tasks'
import { LinkedNode } from '../../lib/tasks/linked-list'
import type { Task } from '../../lib/tasks/task'

const node = (): Task => new LinkedNode() as Task

function drain (ended: EndedTasks): Task[] {
  const order: Task[] = []
  while (ended.oldest !== undefined) {
    order.push(ended.oldest)
    ended.remove(ended.oldest)
  }
  return order
}

t.test('the tasks are kept in the order they ended', async (t) => {
  const ended = new EndedTasks()
  const tasks = [node(), node(), node()]
  tasks.forEach((task) => ended.push(task))
  t.equal(ended.size, 3)
  const order = drain(ended)
  t.ok(order.every((task, i) => task === tasks[i]))
  t.equal(ended.size, 0)
})

for (const [place, index] of [['the oldest', 0], ['one in the middle', 1], ['the newest', 2]] as const) {
  t.test(`${place} can be removed and leaves no link to it`, async (t) => {
    const ended = new EndedTasks()
    const tasks = [node(), node(), node()]
    tasks.forEach((task) => ended.push(task))
    const [gone] = tasks.splice(index, 1)
    ended.remove(gone)
    t.ok(LinkedNode.isUnlinked(gone))
    const last = node()
    ended.push(last)
    const order = drain(ended)
    t.equal(order.length, 3)
    t.ok(order.every((task, i) => task === [...tasks, last][i]))
  })
}

t.test('the only one can be removed and another pushed', async (t) => {
  const ended = new EndedTasks()
  const [a, b] = [node(), node()]
  ended.push(a)
  ended.remove(a)
  t.equal(ended.oldest, undefined)
  ended.push(b)
  t.equal(ended.oldest, b)
  t.equal(ended.size, 1)
})
