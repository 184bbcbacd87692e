//! `init`, `import` and `config schema`: settings and what describes them, written.

use std::io::Write;
use std::path::Path;

use autoscalebot_settings::{Outside, Source};

use crate::cli::{ImportArgs, InitArgs, StartPlatform};
use crate::fault::Fault;
use crate::wiring::AllKinds;

/// Writes a commented settings file to start from.
pub(crate) fn init(args: &InitArgs, out: &mut dyn Write) -> Result<(), Fault> {
    let platform = args.platform.unwrap_or_else(guess);
    let name = match platform {
        StartPlatform::Heroku => "heroku",
        StartPlatform::Local => "local",
    };
    let text = autoscalebot_settings::starter(name)
        .ok_or_else(|| Fault::failed(format!("there are no settings to start from for {name}")))?;
    create(&args.output, text, args.force)?;
    let file = args.output.display();
    writeln!(out, "{file} is written, for an app on {name}: look through it, then try")?;
    let option =
        if args.output == Path::new("autoscalebot.toml") { String::new() } else { format!(" --config {file}") };
    if platform == StartPlatform::Heroku {
        writeln!(out, "  export HEROKU_API_KEY=…")?;
    }
    writeln!(out, "  autoscalebot{option} check --online")?;
    writeln!(out, "  autoscalebot{option} run --dry-run")?;
    Ok(())
}

/// Local where there is a Procfile and no git remote to Heroku.
fn guess() -> StartPlatform {
    let on_heroku = std::fs::read_to_string(".git/config").is_ok_and(|config| config.contains("git.heroku.com"));
    if Path::new("Procfile").exists() && !on_heroku { StartPlatform::Local } else { StartPlatform::Heroku }
}

/// Turns 2.1's settings into TOML.
pub(crate) fn import(args: &ImportArgs, out: &mut dyn Write) -> Result<(), Fault> {
    let folder = std::env::current_dir()?;
    let kinds = AllKinds::new();
    let imported = autoscalebot_settings::import(&Source::python(&args.old), kinds.kinds(), &Outside::real(&folder))?;
    for warning in imported.warnings.iter() {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    match &args.output {
        None => out.write_all(imported.toml.as_bytes())?,
        Some(file) => {
            create(file, &imported.toml, args.force)?;
            writeln!(out, "{} is written; `autoscalebot --config {} check` reads it", file.display(), file.display())?;
        }
    }
    Ok(())
}

/// Writes a new file; one that is there is replaced only when asked to.
fn create(file: &Path, text: &str, force: bool) -> Result<(), Fault> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Fault::usage(format!(
            "{} is there already: give another --output, or --force to replace it",
            file.display()
        )),
        _ => Fault::failed(format!("{}: {error}", file.display())),
    })
}

/// Writes the JSON schema of the settings.
pub(crate) fn schema(out: &mut dyn Write) -> Result<(), Fault> {
    let kinds = AllKinds::new();
    serde_json::to_writer_pretty(&mut *out, &autoscalebot_settings::schema(kinds.kinds()))
        .map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
