//! Line charts as inline SVG. What they show is in `html`.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::RGBColor;

const SIZE: (u32, u32) = (1100, 340);
const LEGEND_WIDTH: u32 = 170;
/// More points than pixels only make the page heavy.
const MOST_POINTS: usize = 1000;
/// The palette of Okabe and Ito, whose colours differ for colour-blind readers too.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// One line of a chart.
pub(crate) struct Line {
    pub(crate) name: String,
    /// A value a minute.
    pub(crate) values: Vec<f64>,
    pub(crate) kind: Kind,
}

/// How a line is drawn, and how minutes are put together where there are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The mean of the minutes.
    Mean,
    /// The highest of the minutes: a peak must not vanish.
    Highest,
    /// As `Highest`, in steps and dashed: what is compared with.
    Reference,
}

/// A chart with its title, labels and lines.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) y_label: &'a str,
    /// Whether the vertical axis is logarithmic, from this value on.
    pub(crate) log_from: Option<f64>,
    pub(crate) lines: Vec<Line>,
    /// What stands at a minute on the horizontal axis.
    pub(crate) minute_label: &'a dyn Fn(f64) -> String,
}

fn thin(values: &[f64], kind: Kind) -> Vec<(f64, f64)> {
    let size = values.len().div_ceil(MOST_POINTS).max(1);
    let put = |chunk: &[f64]| match kind {
        Kind::Mean => chunk.iter().sum::<f64>() / chunk.len() as f64,
        Kind::Highest | Kind::Reference => chunk.iter().copied().fold(0.0, f64::max),
    };
    let points: Vec<_> = values.chunks(size).enumerate().map(|(n, chunk)| ((n * size) as f64, put(chunk))).collect();
    if kind == Kind::Mean {
        return points;
    }
    // Steps: a value holds until the next.
    let mut steps = Vec::with_capacity(points.len() * 2);
    for (at, value) in points {
        if let Some((_, before)) = steps.last().copied() {
            steps.push((at, before));
        }
        steps.push((at, value));
    }
    steps
}

/// The chart as an `<svg>` element.
pub(crate) fn svg(chart: &Chart<'_>) -> Result<String, String> {
    let mut out = String::new();
    {
        let area = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        draw(chart, &area).map_err(|error| format!("the chart {:?} cannot be drawn: {error}", chart.title))?;
    }
    Ok(out)
}

/// Axes, labels and grid of a chart whose axes have any type.
macro_rules! mesh {
    ($context:expr, $chart:expr) => {
        $context
            .configure_mesh()
            .x_desc("time (UTC)")
            .y_desc($chart.y_label)
            .x_labels(8)
            .x_label_formatter(&|minute| ($chart.minute_label)(*minute))
            .y_label_formatter(&|value| format!("{value}"))
            .light_line_style(WHITE)
            .draw()?
    };
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(chart: &Chart<'_>, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    // The legend has its own place: inside the axes it would hide what the lines do.
    let (plot, side) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    let minutes = chart.lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(1) as f64;
    let values = chart.lines.iter().flat_map(|line| &line.values);
    let highest = values.copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let mut builder = ChartBuilder::on(&plot);
    builder
        .caption(chart.title, ("sans-serif", 20))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(64);
    // The axes of the two branches are of two types, which is all that differs.
    if let Some(from) = chart.log_from {
        let values = (from..(highest * 1.2).max(from * 10.0)).log_scale();
        let mut context = builder.build_cartesian_2d(0.0..minutes, values)?;
        mesh!(context, chart);
        for (n, line) in chart.lines.iter().enumerate() {
            let points = thin(&line.values, line.kind).into_iter().map(|(at, value)| (at, value.max(from)));
            context.draw_series(LineSeries::new(points, style(n, line.kind)))?;
        }
    } else {
        let mut context = builder.build_cartesian_2d(0.0..minutes, 0.0..(highest * 1.1).max(1.0))?;
        mesh!(context, chart);
        for (n, line) in chart.lines.iter().enumerate() {
            context.draw_series(LineSeries::new(thin(&line.values, line.kind), style(n, line.kind)))?;
        }
    }
    for (n, line) in chart.lines.iter().enumerate() {
        let y = 52 + 22 * n as i32;
        side.draw(&PathElement::new(vec![(0, y), (20, y)], style(n, line.kind).stroke_width(3)))?;
        side.draw(&Text::new(line.name.clone(), (26, y - 6), ("sans-serif", 13)))?;
    }
    area.present()?;
    Ok(())
}

fn style(n: usize, kind: Kind) -> ShapeStyle {
    match kind {
        Kind::Reference => BLACK.mix(0.55).stroke_width(2),
        _ => COLOURS[n % COLOURS.len()].stroke_width(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive_thinning() {
        let mut values = vec![1.0; 500_000];
        values[123_456] = 99.0;
        let points = thin(&values, Kind::Highest);
        assert!(points.len() <= 2 * MOST_POINTS && points.iter().any(|(_, value)| *value == 99.0));
        assert!(thin(&values, Kind::Mean).len() <= MOST_POINTS);
    }

    #[test]
    fn a_chart_has_its_words_and_no_markup_of_others() {
        let line = |name: &str, kind| Line { name: name.to_owned(), values: vec![0.0, 3.0, 1.0], kind };
        for log_from in [None, Some(0.01)] {
            let chart = Chart {
                title: "dynos & <more>",
                y_label: "dynos",
                log_from,
                lines: vec![line("a<b", Kind::Highest), line("optimum", Kind::Reference)],
                minute_label: &|minute| format!("m{minute}"),
            };
            let svg = svg(&chart).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("</svg>"));
            assert!(svg.contains("a&lt;b") && svg.contains("dynos &amp; &lt;more&gt;") && svg.contains("optimum"));
        }
        let empty =
            Chart { title: "t", y_label: "y", log_from: None, lines: Vec::new(), minute_label: &|_| String::new() };
        assert!(svg(&empty).is_ok());
    }
}
