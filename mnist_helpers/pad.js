// A page to draw on. It sends the drawing to the kernel and shows the text that comes back.

// Pixels each way; pad.py has the same number.
const SIZE = 280;
// A digit as tall as the page is then as bold as those of MNIST.
const PEN_WIDTH = 20;
// How far an arrow key moves the pen, in pixels.
const KEY_STEP = 10;
const KEY_MOVES = {
  ArrowLeft: { x: -KEY_STEP, y: 0 },
  ArrowRight: { x: KEY_STEP, y: 0 },
  ArrowUp: { x: 0, y: -KEY_STEP },
  ArrowDown: { x: 0, y: KEY_STEP },
};
const HELP =
  "Draw a digit. Without a pointer: arrow keys move the pen, Space sets it down or lifts it.";
// After so many milliseconds without an answer, the pad says so.
const PATIENCE = 20000;
const NO_ANSWER_YET =
  "There is no answer yet. If the kernel is not busy, run this cell again and draw once more.";
// For whatever has the focus: else Jupyter takes arrows and Enter for its own shortcuts.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };
const LEFT_BUTTON = 0;

function addElement(parent, tag, attributes = {}, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.textContent = text;
  parent.append(element);
  return element;
}

function makeId() {
  return `digit-pad-${Math.random().toString(36).slice(2)}`;
}

function clamp(position) {
  return Math.min(SIZE, Math.max(0, position));
}

function describeStrokes(strokes) {
  if (strokes === 0) {
    return "empty";
  }
  if (strokes === 1) {
    return "one stroke";
  }
  return `${strokes} strokes`;
}

// The elements of a pad, put into the cell's output `el`.
function buildPad(el) {
  const helpId = makeId();
  const pad = addElement(el, "div", {
    class: "digit-pad",
    role: "group",
    "aria-label": "Digit pad",
  });
  addElement(pad, "p", { id: helpId }, HELP);
  const page = addElement(pad, "div", { class: "digit-pad-page" });
  const canvas = addElement(page, "canvas", {
    width: SIZE,
    height: SIZE,
    role: "img",
    tabindex: 0,
    "aria-describedby": helpId,
    ...OWN_KEYS,
  });
  const penMark = addElement(page, "span", { class: "digit-pad-pen" });
  const buttons = addElement(pad, "div", { class: "digit-pad-buttons" });
  const readButton = addElement(buttons, "button", { type: "button", ...OWN_KEYS }, "Read it");
  const clearButton = addElement(buttons, "button", { type: "button", ...OWN_KEYS }, "Clear");
  const status = addElement(pad, "p", { role: "status" });
  return { canvas, penMark, readButton, clearButton, status };
}

// anywidget calls this once for each place in which the pad is shown.
function render({ model, el }) {
  const { canvas, penMark, readButton, clearButton, status } = buildPad(el);
  // Software drawing: the same strokes give the same pixels, whatever the graphics card.
  const ink = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  // Where the pen is, on a page of SIZE pixels; whether it draws; how often it was set down.
  let pen;
  let penIsDown;
  let strokes;
  // The finger, mouse or pen that is drawing; undefined while none is.
  let pointerId;
  // The timer that says that there is no answer yet.
  let timer;

  function say(text) {
    clearTimeout(timer);
    status.textContent = text;
  }

  function placePen(position, isDown) {
    pen = position;
    penIsDown = isDown;
    penMark.style.left = `${(100 * pen.x) / SIZE}%`;
    penMark.style.top = `${(100 * pen.y) / SIZE}%`;
    penMark.classList.toggle("down", isDown);
    canvas.setAttribute("aria-label", `Your drawing: ${describeStrokes(strokes)}`);
  }

  function clearPage() {
    ink.fillStyle = "white";
    ink.fillRect(0, 0, SIZE, SIZE);
    ink.strokeStyle = "black";
    ink.fillStyle = "black";
    ink.lineWidth = PEN_WIDTH;
    ink.lineCap = "round";
    strokes = 0;
    pointerId = undefined;
    placePen({ x: SIZE / 2, y: SIZE / 2 }, false);
    say("");
  }

  function startStroke(position) {
    strokes += 1;
    ink.beginPath();
    ink.arc(position.x, position.y, PEN_WIDTH / 2, 0, 2 * Math.PI);
    ink.fill();
    placePen(position, true);
  }

  function movePen(position) {
    if (penIsDown) {
      ink.beginPath();
      ink.moveTo(pen.x, pen.y);
      ink.lineTo(position.x, position.y);
      ink.stroke();
    }
    placePen(position, penIsDown);
  }

  // Where on the page an event is; a narrow cell shows the page smaller than SIZE.
  function positionOf(event) {
    const box = canvas.getBoundingClientRect();
    const scale = SIZE / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  canvas.addEventListener("pointerdown", (event) => {
    const isDrawing = pointerId !== undefined;
    // A second finger does not draw.
    if (event.button !== LEFT_BUTTON || isDrawing) {
      return;
    }
    pointerId = event.pointerId;
    canvas.setPointerCapture(pointerId);
    startStroke(positionOf(event));
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointerId) {
      return;
    }
    // One event may stand for several moves of a quick hand; each of them is drawn.
    let moves = event.getCoalescedEvents?.() ?? [];
    if (moves.length === 0) {
      moves = [event];
    }
    for (const move of moves) {
      movePen(positionOf(move));
    }
  });

  canvas.addEventListener("lostpointercapture", (event) => {
    if (event.pointerId !== pointerId) {
      return;
    }
    pointerId = undefined;
    placePen(pen, false);
  });

  // Else a quick last stroke counts as a fling, and the tap on "Read it" only stops that.
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });

  function pressSpace() {
    if (penIsDown) {
      placePen(pen, false);
      say("The pen is up.");
    } else {
      startStroke(pen);
      say("The pen is down.");
    }
  }

  canvas.addEventListener("keydown", (event) => {
    const isShortcut = event.ctrlKey || event.altKey || event.metaKey;
    const isDrawing = pointerId !== undefined;
    if (isShortcut || isDrawing) {
      return;
    }
    const move = KEY_MOVES[event.key];
    if (move) {
      movePen({ x: clamp(pen.x + move.x), y: clamp(pen.y + move.y) });
    } else if (event.key === " ") {
      pressSpace();
    } else {
      return;
    }
    // Else the notebook scrolls.
    event.preventDefault();
  });

  readButton.addEventListener("click", () => {
    // Four bytes a pixel: red, green, blue and opacity. Gray has the same in the first three.
    const rgba = ink.getImageData(0, 0, SIZE, SIZE).data;
    const gray = new Uint8Array(SIZE * SIZE);
    for (let pixel = 0; pixel < gray.length; pixel += 1) {
      gray[pixel] = rgba[4 * pixel];
    }
    say("Reading ...");
    timer = setTimeout(() => say(NO_ANSWER_YET), PATIENCE);
    model.send({}, undefined, [gray.buffer]);
  });

  clearButton.addEventListener("click", clearPage);

  function receive(message) {
    if (message.clear) {
      clearPage();
    } else {
      say(message.answer);
    }
  }

  model.on("msg:custom", receive);
  clearPage();
  // anywidget calls this when the pad is shown no longer.
  return () => {
    model.off("msg:custom", receive);
    clearTimeout(timer);
  };
}

export default { render };
