pub mod mongo_lab;
